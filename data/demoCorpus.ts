export async function buildDemoCorpus(): Promise<{ file: string }> { return {file: ''}; }
