import { lookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP } from 'node:net';

/**
 * Which addresses a configured URL may reach. The check happens when the socket is opened, on the addresses that DNS gave for
 * this very connection, so that a name cannot be checked with one address and used with another.
 *
 * Public addresses are allowed. Private ones only when the allowlist names the host, the address or its range. Link-local
 * addresses, where clouds keep their metadata services, only when the allowlist names the address or its range itself.
 */
export class BlockedAddressError extends Error {
  readonly code = 'ERR_ADDRESS_BLOCKED';
  constructor(host: string) {
    super(`the address of ${host} is not allowed`);
    this.name = 'BlockedAddressError';
  }
}

export interface Allowlist {
  hosts: ReadonlySet<string>;
  /** From `*.internal`: `.internal`. */
  suffixes: readonly string[];
  addresses: BlockList;
}

const PRIVATE_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
const PRIVATE_V6 = [
  '::/128',
  '::1/128',
  '64:ff9b:1::/48',
  '100::/64',
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254/128'];

const privateRanges = blockListOf([...PRIVATE_V4, ...PRIVATE_V6]);
const linkLocal = blockListOf(LINK_LOCAL);

function blockListOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) addRange(list, range);
  return list;
}

function addRange(list: BlockList, range: string): boolean {
  const [address = '', bits] = range.split('/');
  const family = isIP(address);
  const bitsMax = family === 6 ? 128 : 32;
  const prefix = bits === undefined ? bitsMax : Number(bits);
  if (family === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > bitsMax) return false;
  list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
  return true;
}

/** Reads hosts, `*.suffix`, addresses and CIDR ranges. Throws a TypeError that names an entry which is none of these. */
export function parseAllowlist(entries: readonly string[]): Allowlist {
  const hosts = new Set<string>();
  const suffixes: string[] = [];
  const addresses = new BlockList();
  for (const raw of entries) {
    const entry = raw
      .trim()
      .toLowerCase()
      .replace(/^\[|\]$/g, '');
    if (addRange(addresses, entry)) continue;
    if (/^\*\.[a-z0-9.-]+$/.test(entry)) suffixes.push(entry.slice(1));
    else if (/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?$/.test(entry) && !/^[\d.]+$/.test(entry)) hosts.add(entry);
    else throw new TypeError(`the allowlist takes hosts, *.suffix, addresses and CIDR ranges, not ${raw.slice(0, 80)}`);
  }
  return { hosts, suffixes, addresses };
}

/** IPv4 in IPv6 clothes (mapped, NAT64, 6to4) is judged as the IPv4 address that it reaches. */
function embeddedV4(address: string): string | undefined {
  const groups = expandV6(address);
  if (!groups) return undefined;
  const v4 = (high: number, low: number) => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  if (groups.slice(0, 5).every((group) => group === 0) && (groups[5] === 0xffff || (groups[5] === 0 && (groups[6] !== 0 || groups[7]! > 1))))
    return v4(groups[6]!, groups[7]!);
  if (groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0)) return v4(groups[6]!, groups[7]!);
  if (groups[0] === 0x2002) return v4(groups[1]!, groups[2]!);
  return undefined;
}

function expandV6(address: string): number[] | undefined {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text = dotted
    ? `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`
    : address;
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(Math.max(gap, 0)).fill('0'), ...right].map((group) => Number.parseInt(group, 16));
  return groups.length === 8 && groups.every((group) => Number.isInteger(group)) ? groups : undefined;
}

export class AddressGuard {
  constructor(private readonly allowlist: Allowlist) {}

  /** Whether a connection to this host may use this address. */
  permits(host: string, address: string): boolean {
    const plain = address.replace(/%.*$/, '');
    const family = isIP(plain);
    if (family === 0) return false;
    const inner = family === 6 ? embeddedV4(plain) : undefined;
    if (inner !== undefined) return this.permits(host, inner);
    const kind = family === 6 ? 'ipv6' : 'ipv4';
    if (this.allowlist.addresses.check(plain, kind)) return true;
    if (linkLocal.check(plain, kind)) return false;
    return !privateRanges.check(plain, kind) || this.namesHost(host);
  }

  /** A `lookup` for `net.connect` that leaves out what is not allowed. */
  readonly lookup = (
    hostname: string,
    options: { family?: number | string; hints?: number; all?: boolean },
    callback: (error: Error | null, address: never, family?: number) => void,
  ): void => {
    const answer = callback as unknown as (error: Error | null, address?: string | LookupAddress[], family?: number) => void;
    lookup(hostname, { family: options.family as 0 | 4 | 6, hints: options.hints, all: true }, (error, addresses) => {
      if (error) return answer(error);
      const allowed = addresses.filter(({ address }) => this.permits(hostname, address));
      if (allowed.length === 0) return answer(new BlockedAddressError(hostname));
      if (options.all) return answer(null, allowed);
      answer(null, allowed[0]!.address, allowed[0]!.family);
    });
  };

  /** Whether the allowlist names the host, or the address that stands in its place: such places may be asked for more, like plain http. */
  lists(hostname: string): boolean {
    const plain = withoutBrackets(hostname);
    const family = isIP(plain);
    return family === 0 ? this.namesHost(plain) : this.allowlist.addresses.check(plain, family === 6 ? 'ipv6' : 'ipv4');
  }

  /** For a host that is an address itself: `net.connect` does not look those up. */
  checkLiteral(hostname: string): void {
    const plain = withoutBrackets(hostname);
    if (isIP(plain) !== 0 && !this.permits(plain, plain)) throw new BlockedAddressError(plain);
  }

  private namesHost(host: string): boolean {
    const name = host.toLowerCase().replace(/\.$/, '');
    return this.allowlist.hosts.has(name) || this.allowlist.suffixes.some((suffix) => name.endsWith(suffix));
  }
}

/** URLs write addresses of IPv6 in brackets. */
function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/** For requests to the cloud's instance metadata service: that address alone, whatever the allowlist says. */
export function instanceMetadataGuard(): AddressGuard {
  return new InstanceMetadataGuard({ hosts: new Set(), suffixes: [], addresses: new BlockList() });
}

const INSTANCE_METADATA = '169.254.169.254';

class InstanceMetadataGuard extends AddressGuard {
  override permits(_host: string, address: string): boolean {
    return address === INSTANCE_METADATA;
  }
}
