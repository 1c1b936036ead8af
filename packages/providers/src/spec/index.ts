// The border alone, for those who speak to providers' sockets without the providers.
export * from './cancellation.js';
export * from './provider-error.js';
export * from './transport.js';
