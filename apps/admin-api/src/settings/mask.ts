/** Shown in place of a secret. */
export function maskSecret(secret: string): string {
  if (secret === '') return '';
  // The end of a short secret would be too much of it.
  return secret.length >= 12 ? `••••${secret.slice(-4)}` : '••••';
}

/** What a form sends back for a secret that was not touched. */
export function isMasked(text: string): boolean {
  return text.startsWith('••••');
}
