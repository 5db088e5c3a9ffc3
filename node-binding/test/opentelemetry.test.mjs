// `fasttunnel/opentelemetry` with the real SDK: spans and durations by the conventions for HTTP, and what reaches a collector.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fastTunnel, OptionError, TaskError } from 'fasttunnel';
import { createClient } from 'fasttunnel/client';
import { instrument } from 'fasttunnel/opentelemetry';
import { exposuresFor, post, R, withApp } from './support/runner-apps.mjs';
import { callTask, until, withTunnel } from './support/tunnels.mjs';

const require = createRequire(new URL('opentelemetry/package.json', import.meta.url));
const { context, metrics, propagation, SpanKind, SpanStatusCode, trace } = require('@opentelemetry/api');
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks');
const { W3CTraceContextPropagator } = require('@opentelemetry/core');
const { OTLPMetricExporter } = require('@opentelemetry/exporter-metrics-otlp-http');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-http');
const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { BatchSpanProcessor, InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-node');

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;

/** What a metric reader finds of one histogram: attributes and count of each of its points. */
async function pointsOf(reader, name) {
  const { resourceMetrics } = await reader.collect();
  const found = resourceMetrics.scopeMetrics.flatMap(({ metrics: all }) => all).find(({ descriptor }) => descriptor.name === name);
  return { unit: found?.descriptor.unit, points: (found?.dataPoints ?? []).map(({ attributes, value }) => ({ attributes, count: value.count, sum: value.sum, boundaries: value.buckets.boundaries })) };
}

describe('instrument', () => {
  const spans = new InMemorySpanExporter();
  const reader = new PeriodicExportingMetricReader({ exporter: new InMemoryMetricExporter(AggregationTemporality.DELTA), exportIntervalMillis: 3_600_000 });
  const meters = new MeterProvider({ readers: [reader] });
  const tracers = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  let end;

  before(() => {
    tracers.register({ contextManager: new AsyncLocalStorageContextManager().enable(), propagator: new W3CTraceContextPropagator() });
    metrics.setGlobalMeterProvider(meters);
    end = instrument();
  });
  afterEach(async () => {
    spans.reset();
    await reader.collect();
  });
  after(async () => {
    end();
    await tracers.shutdown();
    await meters.shutdown();
    context.disable();
    trace.disable();
    propagation.disable();
    metrics.disable();
  });

  const finished = async (count) => {
    await until(() => spans.getFinishedSpans().length >= count, `${count} spans are over`);
    return spans.getFinishedSpans();
  };

  for (const placement of ['threads', 'inline']) {
    it(`makes the span of a call a child of its caller's, and the handler's spans children of it (${placement})`, async () => {
      const tasks = { t: async () => {
        await new Promise(setImmediate);
        tracers.getTracer('app').startSpan('inner').end();
        return 1;
      } };
      await withTunnel({ placement, shards: 1, tasks }, async (tunnel) => {
        await callTask(tunnel, 't', 1, { headers: { traceparent: PARENT, tracestate: 'vendor=1', 'user-agent': 'tester', 'x-runner-request-id': 'r-1' } });
        const [inner, span] = await finished(2);
        assert.deepEqual([span.name, span.kind, span.status.code], ['POST /__runner/task/t', SpanKind.SERVER, SpanStatusCode.UNSET]);
        assert.deepEqual([span.spanContext().traceId, span.parentSpanContext.spanId, span.spanContext().traceState.get('vendor')], [TRACE, 'b7ad6b7169203331', '1']);
        assert.deepEqual([inner.name, inner.spanContext().traceId, inner.parentSpanContext.spanId], ['inner', TRACE, span.spanContext().spanId]);
        const { 'fasttunnel.queue.duration': queued, ...attributes } = span.attributes;
        assert.ok(queued >= 0 && queued < 10, String(queued));
        assert.deepEqual(attributes, {
          'http.request.method': 'POST', 'http.response.status_code': 200, 'http.route': '/__runner/task/t', 'url.path': '/__runner/task/t', 'url.scheme': 'http',
          'network.protocol.version': '1.1', 'server.address': '127.0.0.1', 'server.port': tunnel.port, 'user_agent.original': 'tester',
          'fasttunnel.kind': 'task', 'fasttunnel.id': 't', 'fasttunnel.request_id': 'r-1',
        });
      });
    });
  }

  it('measures durations in seconds, with the attributes and boundaries that the conventions name', async () => {
    await withTunnel({ tasks: { t: async () => { await new Promise((resolve) => setTimeout(resolve, 20)); } } }, async (tunnel) => {
      await Promise.all([1, 2, 3].map(() => callTask(tunnel, 't', 1)));
      await finished(3);
      const { unit, points } = await pointsOf(reader, 'http.server.request.duration');
      assert.equal(unit, 's');
      assert.equal(points.length, 1, 'no attribute tells calls of one task apart');
      const [{ attributes, count, sum, boundaries }] = points;
      assert.deepEqual(attributes, { 'http.request.method': 'POST', 'url.scheme': 'http', 'http.route': '/__runner/task/t', 'network.protocol.version': '1.1', 'http.response.status_code': 200 });
      assert.equal(count, 3);
      assert.ok(sum >= 0.059 && sum < 10, String(sum));
      assert.deepEqual(boundaries, [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]);
    });
  });

  it("takes a server's error for one, and not a refusal of the handler", async () => {
    const tasks = { bad: () => { throw new Error('broken'); }, no: () => { throw new TaskError('no', { httpCode: 404 }); } };
    await withTunnel({ tasks }, async (tunnel) => {
      await callTask(tunnel, 'bad', 1);
      await callTask(tunnel, 'no', 1);
      const [bad, no] = await finished(2);
      assert.deepEqual([bad.status.code, bad.attributes['error.type'], bad.attributes['http.response.status_code']], [SpanStatusCode.ERROR, '500', 500]);
      assert.equal(bad.events[0].attributes['exception.message'], 'broken');
      assert.deepEqual([no.status.code, no.attributes['error.type'], no.attributes['http.response.status_code'], no.events.length], [SpanStatusCode.UNSET, undefined, 404, 0]);
    });
  });

  it('calls a route by the id that the handler was registered with, however it was encoded', async () => {
    await withTunnel({ tasks: { 'a/b': () => 1 } }, async (tunnel) => {
      for (const path of ['/task/a%2Fb', '/task/%61%2Fb']) assert.equal((await fetch(`${tunnel.url}${path}?token=secret`, { method: 'POST', body: '{}' })).status, 200);
      const all = await finished(2);
      assert.deepEqual(all.map(({ attributes }) => attributes['http.route']), ['/__runner/task/a/b', '/__runner/task/a/b']);
      assert.doesNotMatch(JSON.stringify(all.map(({ attributes }) => attributes)), /secret/);
    });
  });

  it('sends the context of a client along, whose span is the parent of the server\'s', async () => {
    await withTunnel({ tasks: { t: () => 1, bad: () => { throw new TaskError('no', { httpCode: 409 }); } } }, async (tunnel) => {
      const client = createClient({ url: tunnel.url });
      try {
        const root = tracers.getTracer('app').startSpan('root');
        await context.with(trace.setSpan(context.active(), root), () => client.task('t'));
        await assert.rejects(client.task('bad'), { status: 409 });
        const all = await finished(4);
        const [served, called] = [SpanKind.SERVER, SpanKind.CLIENT].map((kind) => all.find((span) => span.kind === kind));
        assert.deepEqual([called.parentSpanContext.spanId, served.parentSpanContext.spanId], [root.spanContext().spanId, called.spanContext().spanId]);
        assert.deepEqual(called.attributes, {
          'http.request.method': 'POST', 'url.template': '/task/t', 'url.full': `${tunnel.url}/task/t`, 'url.scheme': 'http', 'server.address': '127.0.0.1', 'server.port': tunnel.port,
          'network.protocol.version': '1.1', 'http.response.status_code': 200, 'fasttunnel.kind': 'task', 'fasttunnel.id': 't',
        });
        const refused = all.filter(({ kind }) => kind === SpanKind.CLIENT)[1];
        assert.deepEqual([refused.status.code, refused.attributes['error.type']], [SpanStatusCode.ERROR, '409']);
        const { points } = await pointsOf(reader, 'http.client.request.duration');
        assert.deepEqual(points.map(({ count }) => count), [1, 1]);
      } finally {
        await client.close();
      }
    });
  });

  it('runs the handlers of workers in the context of their requests', async () => {
    const tunnel = await fastTunnel({ auth: { allowAnonymous: true }, workers: 2, handlers: fileURLToPath(new URL('fixtures/workers/traced.cjs', import.meta.url)), onError: () => {} });
    try {
      const ids = Array.from({ length: 8 }, (_, index) => String(index + 1).padStart(32, 'a'));
      const answers = await Promise.all(ids.map((id) => callTask(tunnel, 'where', 1, { headers: { traceparent: `00-${id}-b7ad6b7169203331-01` } })));
      assert.deepEqual(answers.map(({ text }) => JSON.parse(text).result), ids);
    } finally {
      await tunnel.close();
    }
  });

  it('runs a handler in the context of its request where a runtime enters stores without running them (Node.js 26)', async () => {
    const { channel } = await import('node:diagnostics_channel');
    const start = channel('tracing:fasttunnel.call:start');
    start.runStores = (message, work) => {
      // As Node.js 26 does: a store is told what it holds, and is not asked to run anything.
      start.publish(message);
      return work();
    };
    try {
      const where = async () => {
        await new Promise(setImmediate);
        return trace.getActiveSpan()?.spanContext().traceId ?? null;
      };
      await withTunnel({ tasks: { where } }, async (tunnel) => {
        const { text } = await callTask(tunnel, 'where', 1, { headers: { traceparent: PARENT } });
        assert.equal(JSON.parse(text).result, TRACE);
      });
    } finally {
      delete start.runStores;
    }
  });

  it('ends the spans that have begun when it is ended', async () => {
    const apart = new InMemorySpanExporter();
    const stop = instrument({ tracerProvider: new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(apart)] }) });
    let begun;
    let goOn;
    const running = new Promise((resolve) => { begun = resolve; });
    const tasks = { t: () => { begun(); return new Promise((resolve) => { goOn = resolve; }); } };
    await withTunnel({ tasks }, async (tunnel) => {
      const answer = callTask(tunnel, 't', 1);
      await running;
      stop();
      goOn(1);
      await answer;
      await until(() => apart.getFinishedSpans().length === 1, 'its span is over');
    });
  });

  it('tells what a task of a Runner app has thrown', async () => {
    const bad = R.r.task('app.bad').run(async () => { throw new Error('broken'); }).build();
    await withApp(exposuresFor('epoll').fastTunnel, { items: [bad] }, async ({ url }) => {
      await post(url, '/task/app.bad', {});
      const [span] = await finished(1);
      assert.equal(span.events[0]?.attributes['exception.message'], 'broken');
    });
  });

  it('names the address that the client of a trusted proxy has asked for', async () => {
    await withTunnel({ trustProxy: 1, tasks: { t: () => 1 } }, async (tunnel) => {
      await callTask(tunnel, 't', 1, { headers: { 'x-forwarded-for': '203.0.113.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example' } });
      const [{ attributes }] = await finished(1);
      assert.deepEqual([attributes['url.scheme'], attributes['server.address'], attributes['server.port']], ['https', 'api.example', 443]);
    });
  });

  it('tells the status of a stream at the calling end, too', async () => {
    await withTunnel({ tasks: { t: () => new Response('ab', { status: 206 }) } }, async (tunnel) => {
      const client = createClient({ url: tunnel.url });
      try {
        const answer = await client.stream('t');
        for await (const _chunk of answer);
        const span = (await finished(2)).find(({ kind }) => kind === SpanKind.CLIENT);
        assert.equal(span.attributes['http.response.status_code'], 206);
      } finally {
        await client.close();
      }
    });
  });

  it('names the option that is wrong, and ends when it is told to', async () => {
    assert.throws(() => instrument({ tracerProvider: 1 }), (error) => error instanceof OptionError && /tracerProvider/.test(error.message));
    assert.throws(() => instrument({ tracer: {} }), (error) => error instanceof OptionError && /tracer/.test(error.message));
    const apart = new InMemorySpanExporter();
    const stop = instrument({ tracerProvider: new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(apart)] }) });
    await withTunnel({ tasks: { t: () => 1 } }, async (tunnel) => {
      await callTask(tunnel, 't', 1);
      await until(() => apart.getFinishedSpans().length === 1, 'it has its span');
      stop();
      await callTask(tunnel, 't', 1);
      await finished(2);
      assert.equal(apart.getFinishedSpans().length, 1);
    });
  });

  it('costs a call nothing but its span when what makes spans fails', async () => {
    const stop = instrument({ tracerProvider: { getTracer: () => ({ startSpan: () => { throw new Error('no spans today'); } }) } });
    try {
      await withTunnel({ tasks: { t: () => 7 } }, async (tunnel) => assert.equal((await callTask(tunnel, 't', 1)).text, '{"ok":true,"result":7}'));
    } finally {
      stop();
    }
  });
});

describe('a collector', () => {
  it('gets spans and durations by OTLP over HTTP', async () => {
    const posts = [];
    const collector = createServer((request, response) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
        posts.push({ url: request.url, body: JSON.parse(Buffer.concat(chunks).toString()) });
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    await once(collector.listen(0, '127.0.0.1'), 'listening');
    const at = `http://127.0.0.1:${collector.address().port}`;
    const tracerProvider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${at}/v1/traces` }))] });
    const meterProvider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter({ url: `${at}/v1/metrics` }), exportIntervalMillis: 3_600_000 })] });
    const stop = instrument({ tracerProvider, meterProvider, propagator: new W3CTraceContextPropagator() });
    try {
      await withTunnel({ tasks: { t: () => 1 } }, async (tunnel) => {
        await callTask(tunnel, 't', 1, { headers: { traceparent: PARENT } });
        await tracerProvider.forceFlush();
        await meterProvider.forceFlush();
      });
      const of = (url) => posts.filter((post) => post.url === url).map(({ body }) => body);
      const [span] = of('/v1/traces').flatMap(({ resourceSpans }) => resourceSpans).flatMap(({ scopeSpans }) => scopeSpans).flatMap((scope) => scope.spans);
      assert.deepEqual([span.name, span.traceId, span.parentSpanId, span.kind], ['POST /__runner/task/t', TRACE, 'b7ad6b7169203331', 2]);
      assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano));
      const [metric] = of('/v1/metrics').flatMap(({ resourceMetrics }) => resourceMetrics).flatMap(({ scopeMetrics }) => scopeMetrics).flatMap((scope) => scope.metrics);
      assert.deepEqual([metric.name, metric.unit, Number(metric.histogram.dataPoints[0].count)], ['http.server.request.duration', 's', 1]);
    } finally {
      stop();
      await tracerProvider.shutdown();
      await meterProvider.shutdown();
      collector.close();
      collector.closeAllConnections();
    }
  });
});
