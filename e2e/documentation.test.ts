import { describe, expect, it } from '@jest/globals';
import { commandBlocks, repositoryRoot } from '@omg/testkit';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Every command that the documentation shows is run by a test, or says what it would take. */

const root = repositoryRoot();
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const PAGES = globSync(['*.md', 'docs/**/*.md', 'k8s/**/*.md', 'infra/**/*.md', 'apps/*/*.md', 'packages/*/*.md'], {
  cwd: root,
  exclude: (path) => /node_modules|__fixtures__|dist/.test(String(path)),
})
  .map(String)
  .toSorted();

/** What a machine of CI does not have. */
const NEEDS = [
  'Docker',
  'a Kubernetes cluster',
  'an account',
  'a release',
  'the address of the repository',
  'a quiet machine',
  'PyPI and a C++ compiler',
  'a whole test run',
];

describe.each(PAGES)('%s', (page) => {
  const text = read(page);

  it('has a mark before each block of commands', () => {
    const fences = [...text.matchAll(/^ *```(sh|bash|shell|console)$/gm)];
    expect(commandBlocks(text)).toHaveLength(fences.length);
    for (const [, language] of fences) expect(language).toBe('sh');
  });

  it('names tests that take the commands from this page, and needs that no test can meet', () => {
    for (const { mark, detail } of commandBlocks(text)) {
      if (mark === 'needs') expect([detail, NEEDS.some((need) => detail.startsWith(need))]).toEqual([detail, true]);
      else {
        expect([detail, existsSync(join(root, detail))]).toEqual([detail, true]);
        expect(read(detail)).toMatch(new RegExp(`documentedCommands\\(import\\.meta\\.filename, '${page.replaceAll('.', '\\.')}'\\)`));
      }
    }
  });

  it('links to files that exist', () => {
    const links = [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1]!);
    expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
  });

  it('links to headings that exist', () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)#\s]*)#([^)]+)\)/g)];
    const broken = links.filter(([, link, anchor]) => {
      const target = link === '' ? page : join(dirname(page), link!);
      return target.endsWith('.md') && existsSync(join(root, target)) && !headingsOf(read(target)).includes(anchor!);
    });
    expect(broken.map(([whole]) => whole)).toEqual([]);
  });
});

describe('the map of the repository', () => {
  it('names every app and package, and every folder of code beside them', () => {
    const map = read('CONTRIBUTING.md');
    const folders = globSync(['apps/*/package.json', 'packages/*/package.json', 'infra/*/package.json', 'infra/ops/*.sh', '{prisma,k8s,e2e}/package.json'], {
      cwd: root,
    }).map((path) => dirname(String(path)));
    expect(folders.length).toBeGreaterThan(15);
    expect(folders.filter((folder) => !map.includes(`| \`${folder}\` |`))).toEqual([]);
  });
});

/** As GitHub makes anchors of headings. */
function headingsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map((match) =>
    match[1]!
      .replaceAll(/[`*]|\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
