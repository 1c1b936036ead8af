export { AddressGuard, BlockedAddressError, parseAllowlist } from './address-guard.js';
export { createTransport, type OriginStats, type TransportOptions, type UpstreamTransport } from './transport.js';
