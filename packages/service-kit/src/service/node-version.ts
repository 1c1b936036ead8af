/** The oldest Node that the services run on; a test keeps it equal to `engines` of the repository's package.json. */
export const NODE_MIN = { major: 24, minor: 9 };

/** Why a Node of this version (such as `24.9.0`) cannot run the services; undefined when it can. */
export function nodeProblem(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > NODE_MIN.major || (major === NODE_MIN.major && minor >= NODE_MIN.minor)) return undefined;
  return `Node.js ${NODE_MIN.major}.${NODE_MIN.minor} or newer is needed; this is ${version}`;
}
