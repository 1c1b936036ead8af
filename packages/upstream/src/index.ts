export { AddressGuard, BlockedAddressError, parseAllowlist, type Allowlist } from './address-guard.js';
export { createTransport, type OriginStats, type TransportOptions, type UpstreamTransport } from './transport.js';
