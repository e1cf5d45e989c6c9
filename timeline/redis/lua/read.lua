-- KEYS: timeline. ARGV: life, TTL in ms, entries wanted of the sorted part (-1:
-- all), how many unsorted ones are left unsorted, cap.
-- Returns the stamp; then, if the timeline can be trusted, its header; then, if
-- it is live, its first entries, joined.
local now = stamp()
local key, h = KEYS[1], header(KEYS[1])
if not h or sub(h, 51, 90) ~= now or sub(h, 27, 34) ~= ARGV[1] then return {now} end
call('PEXPIRE', key, ARGV[2])
if sub(h, 2, 2) ~= live then return {now, h} end
local entries = call('LLEN', key) - 1
local sorted = struct.unpack('>I4', h, 47)
if entries - sorted > tonumber(ARGV[4]) then
  h = cut(key, h, tonumber(ARGV[5]))
  sorted = struct.unpack('>I4', h, 47)
  entries = sorted
end
local n = tonumber(ARGV[3])
n = n < 0 and entries or math.min(entries, entries - sorted + n)
if n == 0 then return {now, h, ''} end
return {now, h, table.concat(call('LRANGE', key, 0, n - 1))}
