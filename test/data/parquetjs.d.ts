// The part of parquetjs that tests use; the package ships no types.
declare module 'parquetjs' {
  export class ParquetReader {
    static openFile(path: string): Promise<ParquetReader>;
    getCursor(columns?: string[]): { next(): Promise<Record<string, unknown> | null> };
    getMetadata(): Record<string, string>;
    close(): Promise<void>;
  }
}
