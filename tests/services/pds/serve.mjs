// Runs a PLC directory and a PDS on loopback until standard input closes.
// The one argument is JSON: {dataDir, jwtSecret, adminPassword, blobLimit, rateLimits}. The working
// directory is where `npm install` ran. One line of JSON on standard output says where they listen.
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import { join } from 'node:path'

const options = JSON.parse(process.argv[2])
const installed = createRequire(join(process.cwd(), 'package.json'))
process.env.LOG_ENABLED = 'false'

// Both programs call listen(port) alone, which would open them to the whole network.
const { listen } = net.Server.prototype
net.Server.prototype.listen = function onLoopback(first, ...rest) {
  return typeof first === 'number'
    ? listen.call(this, { port: first, host: '127.0.0.1' }, ...rest)
    : listen.call(this, first, ...rest)
}

const unusedPort = () =>
  new Promise((resolve, reject) => {
    const probe = net.createServer().on('error', reject)
    probe.listen(0, () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })

const { PlcServer, Database } = installed('@did-plc/server')
const { PDS, envToCfg, envToSecrets } = installed('@atproto/pds')

const plcPort = await unusedPort()
const plc = PlcServer.create({ db: Database.mock(), port: plcPort })
await plc.start()

const port = await unusedPort()
const settings = {
  port,
  hostname: 'localhost',
  devMode: true,
  dataDirectory: options.dataDir,
  blobstoreDiskLocation: join(options.dataDir, 'blobs'),
  blobstoreDiskTmpLocation: join(options.dataDir, 'unfinished-blobs'),
  blobUploadLimit: options.blobLimit,
  didPlcUrl: `http://localhost:${plcPort}`,
  serviceHandleDomains: ['.test'],
  enableDidDocWithSession: true,
  inviteRequired: false,
  rateLimitsEnabled: options.rateLimits,
  disableSsrfProtection: true,
  crawlers: [],
  adminPassword: options.adminPassword,
  jwtSecret: options.jwtSecret,
  plcRotationKeyK256PrivateKeyHex: randomBytes(32).toString('hex'),
}
const pds = await PDS.create(envToCfg(settings), envToSecrets(settings))
await pds.start()

let isStopping = false
const stop = async () => {
  if (isStopping) return
  isStopping = true
  await pds.destroy()
  await plc.destroy()
  // Whoever was killed cannot remove it.
  rmSync(options.dataDir, { recursive: true, force: true })
  process.exit(0)
}
process.stdin.resume().on('end', stop).on('close', stop)
process.on('SIGTERM', stop)

console.log(JSON.stringify({ pds: `http://localhost:${port}`, plc: `http://localhost:${plcPort}` }))
