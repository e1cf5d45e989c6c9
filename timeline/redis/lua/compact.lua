-- KEYS: timeline. ARGV: cap, length at which to cut.
-- Cuts a timeline that has become too long. One that nobody can trust (another
-- format, another life of the server) goes: deliveries would feed it for ever.
if call('LLEN', KEYS[1]) <= tonumber(ARGV[2]) then return 0 end
local h = trusted(KEYS[1])
if not h then return call('DEL', KEYS[1]) end
cut(KEYS[1], h, tonumber(ARGV[1]))
return 1
