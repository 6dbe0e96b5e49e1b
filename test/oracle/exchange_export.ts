// Writes both exchange formats of the small dashboard of test/data/exchangeSite.ts, for exchange.py to judge.
// Run: npx tsx test/oracle/exchange_export.ts FOLDER
import { openStore } from '../../data/artifactStore.ts';
import { exchangeFiles, exchangeFormats } from '../../data/exchangeFiles.ts';
import { putSite, sitePath } from '../data/exchangeSite.ts';

const folder = process.argv[2]!;
const store = openStore(`${folder}/store`);
const report = await putSite(store);
for (const format of exchangeFormats) {
  const target = openStore(`${folder}/${format}`);
  for await (const { path, bytes } of exchangeFiles(store, sitePath, format, report, { modelId: 'fixture', setName: 'saeflow-sae', creatorName: 'saeflow', creatorId: 'saeflow' })) await target.put(path, bytes);
}
