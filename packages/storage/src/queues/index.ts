/** Apart from the rest, since BullMQ is large and only the recorder has queues. */
export { connectQueues, QUEUE_PREFIX } from './connection.js';
export { openQueue, work, type JobQueue, type JobWorker, type QueueJob, type WorkOptions, type WorkerJob } from './queue.js';
