// Heartbeats: every second while an activity works, so that a lost worker is noticed within the heartbeat timeout, and
// with the newest progress as details.
import { Context } from '@temporalio/activity';

const beatMs = 1_000;

/** Runs `work`, heartbeating meanwhile; `work` gets a function that replaces the details and beats at once. */
export async function whileBeating<T>(work: (note: (details: unknown) => void) => Promise<T>): Promise<T> {
  const context = Context.current();
  let details: unknown;
  const timer = setInterval(() => context.heartbeat(details), beatMs);
  try {
    return await work((newer) => {
      details = newer;
      context.heartbeat(details);
    });
  } finally {
    clearInterval(timer);
  }
}
