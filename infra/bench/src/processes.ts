import { readFileSync } from 'node:fs';

/** What a process uses, as Linux tells it. */

const TICKS_PER_SECOND = 100;

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

function statOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** CPU time that a process has used itself, user and system, in microseconds. */
export function ownCpuMicros(pid: number): number {
  const own = statOf(pid);
  return ((Number(own[11]) + Number(own[12])) * 1e6) / TICKS_PER_SECOND;
}

/** The same with its children. Children that ended count. */
export function cpuMicros(pid: number): number {
  const own = statOf(pid);
  let ticks = Number(own[11]) + Number(own[12]) + Number(own[13]) + Number(own[14]);
  for (const child of childrenOf(pid)) {
    try {
      const fields = statOf(child);
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It ended a moment ago; its parent's next reading has its time.
    }
  }
  return (ticks * 1e6) / TICKS_PER_SECOND;
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
