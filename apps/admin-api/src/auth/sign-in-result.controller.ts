import { Controller, Get, Query, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { oidcResultQuerySchema } from '@omg/contracts';
import type { FastifyReply } from 'fastify';
import { pageHeaders, renderNotice } from '../http/page.js';
import type { Parsed } from '../http/paging.js';
import { Permission } from '../http/permission.js';
import type { OidcFailure } from './oidc-claims.js';
import { DEFAULT_RETURN_PATH } from './return-to.js';

/** What went wrong, for the person in front of the browser. */
const WHY: Readonly<Record<OidcFailure, string>> = {
  invalid_state: 'The sign-in took too long, was finished already, or began in another browser. Begin it again.',
  access_denied: 'The sign-in was refused or broken off at your identity provider.',
  provider_error: 'Your identity provider reported an error. Try again, or ask your administrator.',
  provider_unavailable: 'Your identity provider does not answer. Try again in a moment.',
  sign_in_failed: 'The answer of your identity provider could not be verified. Ask your administrator.',
  email_missing: 'Your identity provider tells no mail address for your account. Ask your administrator.',
  email_not_verified: 'Your mail address is not verified at your identity provider. Verify it, then sign in again.',
  domain_not_allowed: 'Mail addresses of your domain may not sign in here. Ask your administrator.',
  role_not_allowed: 'None of your roles may sign in here. Ask your administrator.',
  account_conflict: 'Your mail address belongs to another account here. Ask your administrator.',
};

/** Where a sign-in ends that named no other place: a page for the person, since a bare 404 would look like a failure. */
@ApiExcludeController()
@Controller()
export class SignInResultController {
  @Get(DEFAULT_RETURN_PATH)
  @Permission('public')
  result(@Query({ schema: oidcResultQuerySchema }) query: Parsed<typeof oidcResultQuerySchema>, @Res({ passthrough: true }) reply: FastifyReply): string {
    pageHeaders(reply);
    if (query.error === undefined && query.status === 'success')
      return renderNotice({ title: 'You are signed in', text: 'This browser has a session now. You may close this tab and go back to where you came from.' });
    const slug = query.error ?? '';
    const failure = { title: 'You are not signed in', text: 'The sign-in did not work. Try again, or ask your administrator.' };
    return renderNotice(isFailure(slug) ? { ...failure, text: WHY[slug], detail: slug } : failure);
  }
}

const isFailure = (slug: string): slug is OidcFailure => Object.hasOwn(WHY, slug);
