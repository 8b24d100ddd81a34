-- What wrk asks for. Arguments: a path with %d in it, and how many numbers there are.
-- With 0 numbers each request takes the next one, so that no two are alike.
local pattern, count, ready
local n = 0

function init(args)
  pattern = args[1]
  count = tonumber(args[2])
  ready = {}
  for i = 1, count do
    ready[i] = wrk.format('GET', string.format(pattern, i - 1))
  end
end

function request()
  n = n + 1
  if count == 0 then
    return wrk.format('GET', string.format(pattern, n - 1))
  end
  return ready[(n - 1) % count + 1]
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "errors": %d, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
