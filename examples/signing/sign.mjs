// Signs a request for a Portcullis gate (RFC 9421, RFC 9530) and sends it. Needs Node 20 and nothing else.
//
//     KEY=node.key CA=ca.crt GATE=peer:… node sign.mjs POST https://gpu-box:8443/api/chat '{"model": "llama3.2", …}'
import { createHash, createPrivateKey, createPublicKey, randomBytes, sign as ed25519 } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** `peer:` and the base58 of the public key. */
export function nodeId(key) {
  const raw = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url')
  let text = ''
  for (let number = BigInt(`0x${raw.toString('hex')}`); number > 0n; number /= 58n) text = BASE58[number % 58n] + text
  const zeros = raw.findIndex((byte) => byte !== 0)
  return `peer:${'1'.repeat(zeros)}${text}`
}

/**
 * The headers to send with this request, which is to be sent once. `gate`: the node id of the gate that is meant.
 * `more`: others to send and cover, in lower case; `portcullis-grant` and `portcullis-enroll` have to be covered.
 */
export function sign(key, { method, url, body = '', media, gate, created, nonce, more }) {
  const target = new URL(url)
  const headers = { 'content-digest': `sha-256=:${createHash('sha256').update(body).digest('base64')}:` }
  if (media) headers['content-type'] = media
  if (gate) headers['portcullis-audience'] = gate
  Object.assign(headers, more)
  const covered = {
    '@method': method, '@authority': target.host, '@path': target.pathname, '@query': target.search || '?', ...headers,
  }
  const names = Object.keys(covered).map((name) => `"${name}"`).join(' ')
  created ??= Math.floor(Date.now() / 1000)
  nonce ??= randomBytes(16).toString('base64url')
  const params = `(${names});created=${created};nonce="${nonce}";keyid="${nodeId(key)}";alg="ed25519"`
  const lines = Object.entries(covered).map(([name, value]) => `"${name}": ${value}\n`)
  const signature = ed25519(null, Buffer.from(`${lines.join('')}"@signature-params": ${params}`), key)
  return {
    ...headers, 'signature-input': `portcullis=${params}`, 'signature': `portcullis=:${signature.toString('base64')}:`,
  }
}

async function main([method, url, body = '']) {
  const key = createPrivateKey(readFileSync(process.env.KEY))
  if (method === '--lines') { // for programs: a request a line comes in as JSON, its headers go out
    for await (const line of createInterface({ input: process.stdin })) {
      const wanted = JSON.parse(line)
      console.log(JSON.stringify(sign(key, { ...wanted, body: Buffer.from(wanted.body, 'base64') })))
    }
    return
  }
  const media = body ? 'application/json' : undefined
  const headers = sign(key, { method, url, body, media, gate: process.env.GATE })
  const asked = request(url, { method, headers, ca: readFileSync(process.env.CA) }, async (answer) => {
    for await (const piece of answer) process.stdout.write(piece)
    if (answer.statusCode >= 300) console.error(answer.statusCode, answer.headers['portcullis-verdict'])
    process.exitCode = answer.statusCode < 300 ? 0 : 1
  })
  asked.end(body)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2))
