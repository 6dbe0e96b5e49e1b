// Shard numbers of the test jobs that end in a way of their own; any other shard succeeds and names its process.
export const shardKinds = { userError: 101, bug: 102, exits: 103, nonsense: 104, deaf: 105 } as const;
