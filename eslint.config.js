// Lint keeps the arrows of docs/concepts.md: schemas ← model, data ← stages, activities ← workers; workflows see schemas only.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const folders = ['activities', 'bench', 'chaos', 'cli', 'dashboard', 'data', 'model', 'presets', 'schemas', 'setup', 'stages', 'test', 'workers', 'workflows'];

/** A folder may import from the folders listed and from itself; packages are limited where a folder must stay pure. */
function arrow(folder, mayImport, forbiddenPackages = []) {
  const banned = folders.filter((name) => name !== folder && !mayImport.includes(name)).map((name) => `**/${name}/**`);
  return {
    files: [`${folder}/**/*.ts`],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: banned, message: `${folder}/ may import only from: ${[folder, ...mayImport].join(', ')}.` },
            ...(forbiddenPackages.length > 0 ? [{ group: forbiddenPackages, message: `${folder}/ stays free of this package.` }] : []),
          ],
        },
      ],
    },
  };
}

const temporal = ['@temporalio/*'];
const tensors = ['@tensorflow/*'];
const node = ['node:*'];

export default tseslint.config(
  { ignores: ['node_modules/**', '.saeflow/**', 'dashboard/dist/**', 'coverage/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-restricted-syntax': ['error', { selector: 'ExportDefaultDeclaration', message: 'No default exports: one name for one thing.' }],
      'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx'] }],
      eqeqeq: 'error',
    },
  },
  { files: ['*.config.{js,ts}'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['**/*.mjs'], languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } } },
  arrow('schemas', [], [...temporal, ...tensors, ...node]),
  arrow('model', ['schemas'], [...temporal, ...node, '@tensorflow/tfjs-node*']),
  arrow('data', ['schemas'], [...temporal, ...tensors]),
  arrow('presets', ['schemas']),
  arrow('stages', ['schemas', 'model', 'data'], [...temporal, '@tensorflow/tfjs-node*']),
  {
    files: ['workflows/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['**/activities/**'], allowTypeImports: true, message: 'Workflows see activity types only.' },
            { group: ['**/model/**', '**/data/**', '**/workers/**', '**/cli/**', '**/setup/**', 'node:*', ...tensors], message: 'Workflows see schemas and presets only.' },
          ],
        },
      ],
    },
  },
  arrow('activities', ['schemas', 'data', 'presets', 'dashboard'], tensors),
  arrow('dashboard', ['schemas', 'model', 'data'], temporal),
  arrow('bench', folders.filter((name) => name !== 'test' && name !== 'chaos')),
  arrow('chaos', folders.filter((name) => name !== 'test')),
);
