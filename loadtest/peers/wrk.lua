-- For wrk: `wrk -s wrk.lua URL -- BODY DEPTH` posts BODY, DEPTH requests at a time. Answers are not looked at.
local requests

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = args[1]
  requests = string.rep(wrk.format(), tonumber(args[2]))
end

function request()
  return requests
end
