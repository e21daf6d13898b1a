-- Sends the requests of a plan, each once, and ends with the last answer.
-- Arguments: the plan, and of every answer the status, minimum and maximum bytes.

local ffi = require("ffi")
ffi.cdef("int getpid(); int kill(int process, int signal);")

local thread

function setup(started)
   thread = started
end

function init(args)
   requests, granted, answered, wrong = {}, 0, 0, 0
   sent = -1 -- wrk asks for one request that it does not send
   status, min_size, max_size = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
   for line in io.lines(args[1]) do
      local fields = {}
      for field in line:gmatch("(.-)\t") do
         fields[#fields + 1] = field
      end
      local method, path, token, body = unpack(fields, 1, 4)
      local headers = { ["Host"] = wrk.headers["Host"], ["Authorization"] = "Bearer " .. token }
      for place = 5, #fields, 2 do
         headers[fields[place]] = fields[place + 1]
      end
      if body ~= "" then
         headers["Content-Type"] = "application/json"
      else
         body = nil
      end
      requests[#requests + 1] = wrk.format(method, path, headers, body)
   end
end

-- Milliseconds until a connection sends: when the plan is through, for ever.
function delay()
   granted = granted + 1
   return granted > #requests and 3600000 or 0
end

function request()
   sent = sent + 1
   return requests[math.max(1, sent)]
end

function response(code, _, body)
   answered = answered + 1
   if code ~= status or #body < min_size or #body > max_size then
      wrong = wrong + 1
   end
   if answered == #requests then
      wrk.thread:stop()
      ffi.C.kill(ffi.C.getpid(), 2) -- wakes wrk, which would sleep until its time is over
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.stderr:write(string.format(
      '{"answered": %d, "received": %d, "seconds": %.6f, "wrong": %d,'
         .. ' "p50": %.3f, "p95": %.3f, "p99": %.3f}\n',
      summary.requests, summary.bytes, summary.duration / 1e6,
      thread:get("wrong") + errors.connect + errors.read + errors.write,
      latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
