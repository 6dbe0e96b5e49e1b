// A client for the Temporal server that commands talk to: the one a profile or the environment names, else the server of
// the state folder.
import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import { UserError } from '../schemas/errors.ts';
import { findTemporal } from '../setup/temporal.ts';
import { attachTemporalServer } from '../workers/temporalServer.ts';
import { stateFolder } from './state.ts';

/** A connected client, and where the server's pages are. */
export interface Temporal {
  client: Client;
  address: string;
  namespace: string;
  /** Absent for a server named by a profile: SAEFLOW_TEMPORAL_UI_URL says where its UI is. */
  uiUrl?: string;
  close(): Promise<void>;
}

const connectTimeout = '5 seconds';

/** Connects, or returns undefined when no server is named and none of our own is running. */
export async function findRunningTemporal(): Promise<Temporal | undefined> {
  const named = await findTemporal();
  if (named?.kind === 'address') {
    const uiUrl = process.env['SAEFLOW_TEMPORAL_UI_URL'];
    return connect({ ...named.connectionOptions, address: named.address } as ConnectionOptions, named.namespace, uiUrl);
  }
  const server = await attachTemporalServer(stateFolder());
  return server === undefined ? undefined : connect({ address: server.address }, 'default', server.uiUrl);
}

/** As findRunningTemporal. Throws UserError when there is no server. */
export async function requireTemporal(): Promise<Temporal> {
  const temporal = await findRunningTemporal();
  if (temporal !== undefined) return temporal;
  throw new UserError(`no Temporal server is running for ${stateFolder()}`, 'Start one with saeflow server (or a run, which starts one), or name one in TEMPORAL_ADDRESS.');
}

/** Connects to a server. Throws UserError when it does not answer. */
export async function connect(options: ConnectionOptions, namespace: string, uiUrl?: string): Promise<Temporal> {
  try {
    const connection = await Connection.connect({ ...options, connectTimeout });
    return {
      client: new Client({ connection, namespace }),
      address: options.address ?? '',
      namespace,
      ...(uiUrl === undefined ? {} : { uiUrl }),
      close: () => connection.close(),
    };
  } catch (error) {
    throw new UserError(`the Temporal server ${options.address} does not answer: ${error instanceof Error ? error.message : String(error)}`, 'Start it, or correct TEMPORAL_ADDRESS and the other TEMPORAL_* variables (saeflow doctor shows what is used).', { cause: error });
  }
}

/** The page of a workflow in Temporal's UI; undefined where the UI's address is not known. */
export function workflowUrl({ uiUrl, namespace }: Pick<Temporal, 'uiUrl' | 'namespace'>, workflowId: string): string | undefined {
  return uiUrl === undefined ? undefined : `${uiUrl.replace(/\/$/, '')}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}`;
}
