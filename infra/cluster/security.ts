import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UsageError } from '../errors.ts';
import { messageOf } from '../text.ts';
import { host } from './ports.ts';

/** Who may come in, and by which mechanism of SASL. */
export interface User {
  readonly name: string;
  readonly password: string;
  readonly mechanism: 'plain' | 'scram-sha-512';
}

/** What a client needs to talk to a secured server, and its key if it is to show who it is. */
export interface Certificates {
  /** The authority that signed the server's certificate, in PEM. */
  readonly ca: string;
  /** A client's own certificate and key, signed by the same authority, in PEM. */
  readonly certificate: string;
  readonly key: string;
  /** Paths of what the server itself is given. */
  readonly server: {
    readonly ca: string;
    readonly certificate: string;
    readonly key: string;
    /** Key and certificate in one file. */
    readonly both: string;
  };
}

/** May do everything; the password is another one for each broker. */
export const superUser = 'admin';

/** Names and passwords stand in JAAS within a properties file: what neither of them reads as its own. */
export function checkUser({ name, password }: User): void {
  if (!/^[\w.-]+$/.test(name) || !/^[\w.-]+$/.test(password)) {
    throw new Error(
      `the user ${name}: names and passwords of a test cluster are letters and digits`,
    );
  }
  if (name === superUser) throw new Error(`${superUser} is the super user, made by the broker`);
}

/**
 * Lines of `server.properties`: one listener for clients with TLS, SCRAM, PLAIN and OAUTHBEARER, and an authorizer that lets
 * nobody do anything without an ACL. The broker's own talk goes the same way, so there is no door at the side.
 */
export function securityProperties(
  users: readonly User[],
  { admin, server }: Certificates & { readonly admin: User },
): Readonly<Record<string, string>> {
  const login = `username="${admin.name}" password="${admin.password}"`;
  const plainUsers = [admin, ...users.filter(({ mechanism }) => mechanism === 'plain')];
  const plain = `${module('plain.PlainLoginModule')} ${login} ${plainUsers
    .map(({ name, password }) => `user_${name}="${password}"`)
    .join(' ')};`;
  return {
    'listener.security.protocol.map': 'CLIENTS:SASL_SSL,CONTROLLER:SASL_SSL',
    'listener.name.clients.sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN,OAUTHBEARER',
    'listener.name.controller.sasl.enabled.mechanisms': 'PLAIN',
    'sasl.mechanism.inter.broker.protocol': 'PLAIN',
    'sasl.mechanism.controller.protocol': 'PLAIN',
    'listener.name.clients.plain.sasl.jaas.config': plain,
    'listener.name.controller.plain.sasl.jaas.config': plain,
    'listener.name.clients.scram-sha-512.sasl.jaas.config': `${module('scram.ScramLoginModule')};`,
    // Kafka's own for development: it believes a token that nobody signed.
    'listener.name.clients.oauthbearer.sasl.jaas.config': `${module('oauthbearer.OAuthBearerLoginModule')} unsecuredLoginStringClaim_sub="${admin.name}";`,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': server.both,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': server.ca,
    // A client may show a certificate; who it is, SASL says.
    'ssl.client.auth': 'requested',
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': `User:${admin.name}`,
  };
}

const module = (name: string): string => `org.apache.kafka.common.security.${name} required`;

/** What `StorageTool format` is given: SCRAM has its passwords in the cluster's own log. */
export const scramArguments = (users: readonly User[]): readonly string[] =>
  users
    .filter(({ mechanism }) => mechanism === 'scram-sha-512')
    .flatMap(({ name, password }) => [
      '--add-scram',
      `SCRAM-SHA-512=[name=${name},password=${password}]`,
    ]);

/** The super user of the folder, made once. */
export function adminIn(folder: string): User {
  const file = join(folder, 'admin.password');
  if (!existsSync(file)) {
    writeFileSync(file, randomBytes(12).toString('hex'), { mode: 0o600 });
  }
  return { name: superUser, password: readFileSync(file, 'utf8'), mechanism: 'plain' };
}

/**
 * An authority of our own, and what it signed for a server on this machine and for a client; made once in a folder.
 *
 * @throws UsageError if there is no `openssl`
 */
export async function certificatesIn(folder: string): Promise<Certificates> {
  const at = (name: string): string => join(folder, name);
  if (!existsSync(at('client.pem'))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(at('openssl.cnf'), configuration);
    await openssl([
      'req',
      '-x509',
      ...newKey,
      at('ca.key'),
      '-out',
      at('ca.pem'),
      '-subj',
      '/CN=spar test authority',
      '-extensions',
      'authority',
      '-config',
      at('openssl.cnf'),
      ...days,
    ]);
    for (const name of ['server', 'client']) {
      await openssl([
        'req',
        ...newKey,
        at(`${name}.key`),
        '-out',
        at(`${name}.csr`),
        '-subj',
        `/CN=spar ${name}`,
        '-config',
        at('openssl.cnf'),
      ]);
      await openssl([
        'x509',
        '-req',
        '-in',
        at(`${name}.csr`),
        '-CA',
        at('ca.pem'),
        '-CAkey',
        at('ca.key'),
        '-CAcreateserial',
        '-extfile',
        at('openssl.cnf'),
        '-extensions',
        name,
        '-out',
        at(`${name}.pem`),
        ...days,
      ]);
    }
    writeFileSync(
      at('server.both.pem'),
      readFileSync(at('server.key'), 'utf8') + readFileSync(at('server.pem'), 'utf8'),
    );
  }
  return {
    ca: readFileSync(at('ca.pem'), 'utf8'),
    certificate: readFileSync(at('client.pem'), 'utf8'),
    key: readFileSync(at('client.key'), 'utf8'),
    server: {
      ca: at('ca.pem'),
      certificate: at('server.pem'),
      key: at('server.key'),
      both: at('server.both.pem'),
    },
  };
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout'];
const days = ['-days', '30'];

const configuration = `
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[server]
subjectAltName = IP:${host}, DNS:localhost
extendedKeyUsage = serverAuth, clientAuth
[client]
extendedKeyUsage = clientAuth
`;

async function openssl(args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('openssl', args);
  } catch (error) {
    throw new UsageError(
      `openssl could not make the certificates of a test cluster: ${messageOf(error)}. Is it installed?`,
      { cause: error },
    );
  }
}
