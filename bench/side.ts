// One side of a bench as a child process of its own, so that its peak memory is its own and neither side's allocator,
// threads or warm caches help or hinder the other.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fromSide, type Ran, type Ready, type ToSide } from './protocol.ts';

/** How a side is started. */
export interface SideCommand {
  name: string;
  program: string;
  args: string[];
  env: Record<string, string | undefined>;
}

/** A side that could not start, or died: the reason in a line, and all it wrote last. */
export class SideError extends Error {
  override readonly name = 'SideError';
  readonly details: string;

  constructor(message: string, details = message) {
    super(message);
    this.details = details;
  }
}

const tsxLoader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const keptLines = 15;

/** Our side `bench/ours/<script>.ts` with `options` as its one argument, JSON. */
export function oursCommand(script: string, options: object, threads: number, env: SideCommand['env'] = process.env): SideCommand {
  const path = fileURLToPath(new URL(`./ours/${script}.ts`, import.meta.url));
  return { name: 'ours', program: process.execPath, args: ['--import', tsxLoader, path, JSON.stringify(options)], env: threadEnv(threads, env) };
}

/** A peer's side `bench/peers/<script>.py`, run by `python`. */
export function peerCommand(name: string, python: string, script: string, options: object, threads: number, env: SideCommand['env'] = process.env): SideCommand {
  const path = fileURLToPath(new URL(`./peers/${script}.py`, import.meta.url));
  return { name, program: python, args: [path, JSON.stringify({ ...options, threads })], env: threadEnv(threads, env) };
}

/** The same number of threads for every library that reads one from the environment. */
export function threadEnv(threads: number, env: SideCommand['env']): SideCommand['env'] {
  const count = String(threads);
  return { ...env, TF_NUM_INTRAOP_THREADS: count, TF_NUM_INTEROP_THREADS: '1', OMP_NUM_THREADS: count, MKL_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count, CUDA_VISIBLE_DEVICES: '' };
}

export class Side {
  readonly name: string;
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;
  private readonly lastWords: string[] = [];
  private readonly closed: Promise<unknown>;

  private constructor({ name, program, args, env }: SideCommand) {
    this.name = name;
    this.child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.on('error', (error) => this.lastWords.push(error.message));
    this.closed = new Promise((done) => this.child.once('close', done));
    // a side that dies while it is spoken to is reported by the missing answer
    this.child.stdin.on('error', () => undefined);
    this.reader = createInterface({ input: this.child.stdout });
    this.lines = this.reader[Symbol.asyncIterator]();
    createInterface({ input: this.child.stderr }).on('line', (line) => {
      this.lastWords.push(line);
      if (this.lastWords.length > keptLines) this.lastWords.shift();
    });
  }

  /**
   * Starts a side and waits until it is ready.
   *
   * @throws SideError with its reason, or its last lines when it died.
   */
  static async open(command: SideCommand): Promise<{ side: Side; about: Ready }> {
    const side = new Side(command);
    try {
      return { side, about: await side.answer('ready') };
    } catch (error) {
      await side.close();
      throw error;
    }
  }

  /** Runs `steps` steps and answers with their time. Throws SideError when the side failed or died. */
  async run(steps: number): Promise<Ran> {
    this.child.stdin.write(`${JSON.stringify({ command: 'run', steps } satisfies ToSide)}\n`);
    return this.answer('ran');
  }

  /** Ends the process; returns when it is gone. */
  async close(): Promise<void> {
    this.child.stdin.end();
    this.child.kill('SIGKILL');
    this.reader.close();
    await this.closed;
  }

  private async answer<Type extends 'ready' | 'ran'>(type: Type): Promise<Type extends 'ready' ? Ready : Ran> {
    const { value, done } = await this.lines.next();
    if (done) {
      await this.close();
      throw new SideError(`it ended without an answer; its last line: ${this.lastWords.at(-1) ?? 'none'}`, this.lastWords.join('\n'));
    }
    const answer = fromSide.parse(JSON.parse(value));
    if (answer.type === 'failed') throw new SideError(answer.message.split('\n', 1)[0]!, answer.message);
    if (answer.type !== type) throw new SideError(`it answered ${answer.type} where ${type} was expected`);
    return answer as Type extends 'ready' ? Ready : Ran;
  }
}
