/** Layers point one way: schemas → processors → topology → infra → test. Each folder looks only to its left. */
const layers = ['schemas', 'processors', 'topology', 'infra', 'test'];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'rules-are-pure',
      comment: 'processors/rules is the pure domain: it knows the records and itself.',
      severity: 'error',
      from: { path: '^processors/rules/' },
      to: {
        pathNot: [
          '^processors/rules/',
          '^processors/settings\\.ts$',
          '^schemas/',
          '^node:crypto$',
          '^crypto$',
        ],
      },
    },
    {
      name: 'no-io-left-of-infra',
      comment: 'Nothing left of infra knows Kafka, HTTP, files or clocks.',
      severity: 'error',
      from: { path: '^(schemas|processors|topology)/' },
      to: { dependencyTypes: ['core', 'npm'], pathNot: ['^node:crypto$', '^crypto$'] },
    },
    {
      name: 'cluster-is-no-product',
      comment: 'The broker and the registry for laptops and tests are not in the package.',
      severity: 'error',
      from: { path: '^infra/', pathNot: '^infra/(cluster|scripts)/' },
      to: { path: '^infra/(cluster|scripts)/' },
    },
    ...layers.map((layer, index) => ({
      name: `${layer}-looks-left`,
      severity: 'error',
      from: { path: `^${layer}/` },
      to: { path: `^(${layers.slice(index + 1).join('|') || '$never'})/` },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
};
