import type { FastifyReply, FastifyRequest } from 'fastify';

/** The few pages that people see: static, without scripts, nothing loaded from elsewhere. */
export interface Page {
  title: string;
  /** HTML. */
  body: string;
  /** More CSS. */
  style?: string;
}

const STYLE = `
:root{--ink:#1b1b1f;--dim:#5c5f6a;--paper:#fff;--box:#f5f5f8;--line:#dcdce3;--link:#1d4ed8;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e6e6ea;--dim:#a2a5b1;--paper:#16161a;--box:#212128;--line:#3a3a44;--link:#8ab4ff}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0;color:var(--ink);background:var(--paper)}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
code,pre{font:13px/1.45 ui-monospace,monospace}
`;

const NOTICE_STYLE = `
main{max-width:34rem;margin:18vh auto 0;padding:0 1.5rem}
h1{font-size:1.5rem;margin:0 0 .6rem}
.d{color:var(--dim);margin:1.6rem 0 0}
`;

export function renderPage({ title, body, style = '' }: Page): string {
  const css = `${STYLE}${style}`.replaceAll('\n', '');
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>${escapeHtml(title)}</title><style>${css}</style></head>\n<body>${body}</body></html>`;
}

/** One message in plain words. `detail` says what somebody who helps would ask for. */
export function renderNotice({ title, text, detail }: { title: string; text: string; detail?: string }): string {
  const more = detail === undefined ? '' : `<p class="d"><code>${escapeHtml(detail)}</code></p>`;
  return renderPage({ title, body: `<main><h1>${escapeHtml(title)}</h1><p>${escapeHtml(text)}</p>${more}</main>`, style: NOTICE_STYLE });
}

/** Nothing runs on a page and no other site shows it in a frame, whatever text found its way into it. */
export function pageHeaders(reply: FastifyReply): FastifyReply {
  return reply
    .header('content-type', 'text/html; charset=utf-8')
    .header(
      'content-security-policy',
      "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
}

/** A browser that opens an address for a person asks for a page first; programs do not. */
export function isForPerson(request: FastifyRequest): boolean {
  return request.method === 'GET' && /^\s*text\/html\b/i.test(request.headers.accept ?? '');
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
