-- What wrk sends. Arguments: create, or one of `paths`, a file of tokens, a prefix for unique names, milliseconds between requests.

local sent = 0
local tokens, requests = {}, {}
local kind, prefix
local paths = {
  list = "/api/v1/clusters/?limit=20",
  long = "/api/v1/clusters/?limit=100",
  instances = "/api/v1/instances/?limit=100",
  quota = "/api/v1/users/me/quota",
}

function init(args)
  kind, prefix = args[1], args[3]
  for token in io.lines(args[2]) do
    tokens[#tokens + 1] = "Bearer " .. token
    requests[#requests + 1] = wrk.format("GET", paths[kind] or paths.list, { Authorization = tokens[#tokens] })
  end
  local pause = tonumber(args[4])
  if pause > 0 then
    delay = function() return pause end
  end
end

function request()
  sent = sent + 1
  local tenant = sent % #tokens + 1
  if paths[kind] then
    return requests[tenant]
  end
  local body = '{"name":"' .. prefix .. sent .. '","instance_type":"container","cpu_per_instance":0.5,'
    .. '"memory_per_instance":512,"instance_count":3,"image":"nginx:latest","labels":{"team":"blue"}}'
  return wrk.format("POST", "/api/v1/clusters/",
    { Authorization = tokens[tenant], ["Content-Type"] = "application/json" }, body)
end
