// The terminal: lines that stay, and below them a block that is redrawn in place. Written to a file or pipe, only the
// lines remain. Plain ANSI; no cursor tricks beyond "up" and "clear to the end".

/** What a Screen writes to; process.stderr fits. */
export interface Terminal {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export class Screen {
  private block: string[] = [];

  constructor(private readonly terminal: Terminal) {}

  /** True where a block can be redrawn in place. */
  get live(): boolean {
    return this.terminal.isTTY === true && process.env['TERM'] !== 'dumb';
  }

  /** Characters a line may have; one column stays free, since some terminals wrap at the last one. */
  get width(): number {
    return Math.max(20, (this.terminal.columns ?? 100) - 1);
  }

  /** A line that stays. */
  say(line: string): void {
    if (this.block.length === 0) {
      this.terminal.write(`${line}\n`);
      return;
    }
    this.terminal.write(`${this.backToTop()}${line}\n${this.text()}`);
  }

  /** Replaces the block; nothing where the terminal is none. */
  draw(lines: readonly string[]): void {
    if (!this.live) return;
    const clear = this.backToTop();
    this.block = lines.map((line) => cut(line, this.width));
    this.terminal.write(clear + this.text());
  }

  /** Leaves the block as it stands; what follows goes below it. */
  settle(): void {
    this.block = [];
  }

  private text(): string {
    return this.block.map((line) => `${line}\n`).join('');
  }

  private backToTop(): string {
    return this.block.length === 0 ? '' : `\x1b[${this.block.length}A\x1b[0J`;
  }
}

/** At most `width` characters, the last one an ellipsis where something was cut off. */
export function cut(line: string, width: number): string {
  const characters = [...line];
  return characters.length <= width ? line : `${characters.slice(0, width - 1).join('')}…`;
}
