// An endpoint that speaks the chat-completions protocol on 127.0.0.1, with answers that follow from the questions, and
// with the faults of real ones on request.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What to send instead of an answer. */
export interface Fault {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

export interface ChatServer {
  /** As --endpoint. */
  endpoint: string;
  /** Bodies of all requests, in order. */
  readonly asked: string[];
  readonly headers: IncomingHttpHeaders[];
  /** Sent to the next requests, one each. */
  readonly faults: Fault[];
  /** Answers of another kind than the usual. */
  answer: ((user: string) => string | undefined) | undefined;
  /** Called before an answer is sent. */
  onRequest: ((count: number) => Promise<void> | void) | undefined;
  close(): Promise<void>;
}

export const tokensPerQuestion = 100;
export const tokensPerAnswer = 10;

/** Starts it: explains with `label`, predicts 10 on `firing` tokens, and detects texts that hold one. */
export async function startChatServer(label: string, firing: (token: string) => boolean): Promise<ChatServer> {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      void (async () => {
        chat.asked.push(body);
        chat.headers.push(request.headers);
        await chat.onRequest?.(chat.asked.length);
        const fault = chat.faults.shift();
        if (fault !== undefined) return void response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
        const user = (JSON.parse(body) as { messages: { content: string }[] }).messages[1]!.content;
        const content = chat.answer?.(user) ?? usual(user);
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ id: 'x', object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }], usage: { prompt_tokens: tokensPerQuestion, completion_tokens: tokensPerAnswer } }));
      })();
    });
  });
  const usual = (user: string): string => {
    const list = /\nTokens \(\d+\):\n(.*)$/s.exec(user)?.[1];
    if (list !== undefined) return `Here you are: ${JSON.stringify((JSON.parse(list) as string[]).map((token) => (firing(token) ? 10 : 0)))}`;
    if (!user.startsWith('The feature fires on')) return `"${label}."\n`;
    return JSON.stringify([...user.matchAll(/^Text \d+: (".*")$/gm)].map(([, text]) => firing(JSON.parse(text!) as string)));
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const chat: ChatServer = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked: [],
    headers: [],
    faults: [],
    answer: undefined,
    onRequest: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return chat;
}
