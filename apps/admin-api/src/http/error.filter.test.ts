import { BadRequestException, NotFoundException } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { AdminError } from '@omg/contracts';
import { Prisma } from '@omg/database';
import { toAdminError } from './error.filter.js';

const known = (code: string) => new Prisma.PrismaClientKnownRequestError('secret detail', { code, clientVersion: 'x' });

describe('error mapping', () => {
  it.each([
    [known('P2002'), 409, 'conflict'],
    [known('P2025'), 404, 'not_found'],
    [known('P1001'), 503, 'unavailable'],
    [known('P2028'), 503, 'unavailable'],
    [Object.assign(new Error('x'), { code: '22021' }), 400, 'invalid_request'],
    [Object.assign(new Error('x'), { code: '57P01' }), 503, 'unavailable'],
    [Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' }), 503, 'unavailable'],
    [new NotFoundException('Cannot GET /x'), 404, 'not_found'],
    [new BadRequestException('x'), 400, 'invalid_request'],
    [Object.assign(new Error('too big'), { statusCode: 413 }), 413, 'request_too_large'],
    [Object.assign(new Error('bad'), { statusCode: 400, code: 'FST_ERR_CTP_INVALID_JSON_BODY' }), 400, 'invalid_json'],
    [new Error('select * from users where email = secret'), 500, 'internal_error'],
    [new AdminError('last_owner'), 409, 'last_owner'],
    ['text', 500, 'internal_error'],
  ])('%s answers %d %s', (thrown, status, code) => {
    const error = toAdminError(thrown);
    expect([error.status, error.code]).toEqual([status, code]);
    expect(JSON.stringify(error.toBody())).not.toContain('secret');
  });
});
