// Entry of a compute process.
import { serveJobs } from './jobServer.ts';
import { realJobs } from './realJobs.ts';

serveJobs(realJobs);
