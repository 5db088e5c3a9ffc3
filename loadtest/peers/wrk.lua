-- For wrk: `wrk -s wrk.lua URL -- BODY DEPTH [TOKEN]` posts BODY, DEPTH requests at a time. Answers are not looked at.
local requests

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["x-runner-token"] = args[3]
  wrk.body = args[1]
  requests = string.rep(wrk.format(), tonumber(args[2]))
end

function request()
  return requests
end
