// What can go wrong with a compute process, named so that Temporal's UI shows which.
/** The process ended while it worked: a crash of native code, out of memory, a kill. The next attempt goes on from the last checkpoint. */
export class ComputeProcessDied extends Error {
  override readonly name = 'ComputeProcessDied';
}

/** The process said something its schema does not allow: a defect of the job's code. */
export class ComputeProtocolError extends Error {
  override readonly name = 'ComputeProtocolError';
}
