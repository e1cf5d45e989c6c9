-- Joined in front of every script. The layouts are those of header.go and acts.go.
local call, sub, byte = redis.call, string.sub, string.byte
local headerSize, building, live = 90, '\1', '\2'

-- stamp is the master_replid of the server that runs this script.
local function stamp()
  return string.match(call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- header returns a timeline's header if there is one of this format.
local function header(key)
  local h = call('LINDEX', key, -1)
  if h and #h == headerSize and sub(h, 1, 1) == '\1' then return h end
end

-- trusted is header, if it was made in this life of this server.
local function trusted(key)
  local h = header(key)
  if h and sub(h, 51, 90) == stamp() then return h end
end

-- with returns h with the bytes from first on replaced.
local function with(h, first, bytes)
  return sub(h, 1, first - 1) .. bytes .. sub(h, first + #bytes)
end

-- less compares packed ids. Lua's own < goes by the server's locale, and its
-- numbers lose bits beyond 2^53.
local function less(a, b)
  local ah, al = struct.unpack('>I4I4', a)
  local bh, bl = struct.unpack('>I4I4', b)
  return ah < bh or (ah == bh and al < bl)
end

-- highest returns the higher of the two entries that a post may have: as a bottom it
-- has both at or below it.
local function highest(e)
  return sub(e, 1, 7) .. string.char(byte(e, 8) - byte(e, 8) % 2 + 1)
end

-- push adds strings to a list by LPUSH or RPUSH, in portions that fit Lua's stack.
local function push(command, key, items, n)
  for first = 1, n, 1000 do
    call(command, key, unpack(items, first, math.min(first + 999, n)))
  end
end
