import { describe, expect, it } from '@jest/globals';
import { maskUrl } from './mask-url.js';

describe('maskUrl', () => {
  it.each([
    ['https://hooks.example.com/budget', 'https://hooks.example.com/budget'],
    ['https://user:password@hooks.example.com:8443/a?token=1#x', 'https://hooks.example.com:8443/a?***'],
    ['https://hooks.example.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX', 'https://hooks.example.com/services/T00000000/B00000000/***'],
    ['not a url', '[redacted]'],
  ])('shows %s as %s', (url, shown) => {
    expect(maskUrl(url)).toBe(shown);
  });
});
