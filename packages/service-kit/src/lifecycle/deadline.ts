export class DeadlineError extends Error {
  readonly code = 'DEADLINE';
  constructor(deadlineMs: number) {
    super(`not done within ${deadlineMs} ms`);
    this.name = 'DeadlineError';
  }
}

/** Rejects with a DeadlineError when the promise takes longer; the promise itself goes on. */
export async function withDeadline<T>(promise: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(deadlineMs)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
