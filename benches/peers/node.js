// What one would write first: server-sent events with Node's own `http`.
//     node node.js PORT
'use strict'
const http = require('node:http')

const streams = new Set()

const server = http.createServer((request, response) => {
  if (request.method === 'GET' && request.url === '/events') {
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store'
    })
    response.flushHeaders()
    streams.add(response)
    response.on('close', () => streams.delete(response))
    return
  }
  if (request.method === 'POST') {
    let text = ''
    request.setEncoding('utf8')
    request.on('data', piece => { text += piece })
    request.on('end', () => {
      if (request.url === '/send') {
        const frame = `data: ${text}\n\n`
        for (const stream of streams) stream.write(frame)
      }
      response.writeHead(204).end()
    })
    return
  }
  response.writeHead(404, { 'Content-Length': 0 }).end()
})

server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 1024 })
