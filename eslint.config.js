import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Each outside package has one home; everyone else goes through that file. */
const homes = {
  openai: ['infra/model/openai.ts'],
  undici: ['infra/model/openai.ts'],
  avsc: ['infra/codec/avro.ts'],
  '@confluentinc/schemaregistry': ['infra/codec/confluent-registry.ts'],
  pino: ['infra/logger.ts'],
  'node:sqlite': ['infra/sqlite.ts'],
  zod: ['infra/config/schema.ts', 'infra/config/cluster-schema.ts', 'infra/config/gates-schema.ts'],
  yaml: ['infra/config/load.ts'],
  diff: ['infra/cli/diff.ts'],
  '@huggingface/tokenizers': ['infra/exports/gates/tokens.ts'],
  'eld/medium': ['infra/language.ts'],
  '@huggingface/hub': ['infra/exports/hub.ts'],
  hyparquet: ['infra/exports/parquet.ts'],
  'hyparquet-writer': ['infra/exports/parquet.ts'],
  kafkajs: ['infra/cluster/broker.ts', 'infra/log/kafka/*.ts'],
};

const restrict = (except) => [
  'error',
  {
    paths: Object.keys(homes)
      .filter((name) => !except.includes(name))
      .map((name) => ({
        name,
        message: `${name} has one home: ${homes[name].join(', ')}.`,
        allowTypeImports: false,
      })),
  },
];

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', 'coverage/', '.venv/', '.cache/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      // The other way to say it, `!`, is what we forbid: a cast at least names its type.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      '@typescript-eslint/dot-notation': 'off',
      '@typescript-eslint/unified-signatures': 'off',
    },
  },
  {
    files: ['schemas/**/*.ts', 'processors/**/*.ts', 'topology/**/*.ts', 'infra/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': restrict([]),
      'no-console': 'error',
    },
  },
  ...Object.entries(
    Object.groupBy(
      Object.entries(homes).flatMap(([name, files]) => files.map((file) => ({ name, file }))),
      ({ file }) => file,
    ),
  ).map(([file, entries]) => ({
    files: [file],
    rules: {
      '@typescript-eslint/no-restricted-imports': restrict(entries.map(({ name }) => name)),
    },
  })),
  {
    // A random choice never depends on arrival order, and time comes in from outside.
    files: ['schemas/**/*.ts', 'processors/**/*.ts', 'topology/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        'Date',
        'performance',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'process',
        'fetch',
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Chance comes in through the context.' },
      ],
    },
  },
  {
    files: ['infra/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Every random choice has a seed.' },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.cjs'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
);
