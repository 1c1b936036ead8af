/** Builds the document of the app that it is asked in. */
export const OPENAPI_SOURCE = Symbol('OPENAPI_SOURCE');
