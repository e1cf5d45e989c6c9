-- KEYS: timeline. ARGV: token, life, acts, TTL in ms, patience in s.
-- Returns 1 if the timeline is created now, or was by this very token.
local id, now = stamp(), tonumber(call('TIME')[1])
local h = header(KEYS[1])
if h and sub(h, 51, 90) == id and sub(h, 2, 2) == building and sub(h, 27, 34) == ARGV[2] then
  local begun = struct.unpack('>I4', h, 43)
  if now >= begun and now - begun < tonumber(ARGV[5]) then
    return sub(h, 11, 18) == ARGV[1] and 1 or 0
  end
end
-- The push comes first, as want of memory refuses a script at its first write.
call('RPUSH', KEYS[1], '\1' .. building .. '\0\0\0\0\0\0\0\1' .. ARGV[1] .. '\0\0\0\0\0\0\0\0'
  .. ARGV[2] .. ARGV[3] .. struct.pack('>I4I4', now, 0) .. id)
call('LTRIM', KEYS[1], -1, -1)
call('PEXPIRE', KEYS[1], ARGV[4])
return 1
