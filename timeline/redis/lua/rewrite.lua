-- Joined behind the prologue of those scripts that write a timeline anew.

-- newest returns the entries of all (falling, repeats together) that are to
-- stay: at most cap, above bottom, each once, a delivered one before one from
-- storage. It returns their number, the bottom, which is raised to the highest
-- one that the cap drops, and whether they are just the first of all.
local function newest(all, cap, bottom)
  local kept, n, plain = {}, 0, true
  for i = 1, #all do
    local e, last = all[i], kept[n]
    if last and (e == last or (byte(last, 8) == byte(e, 8) + 1 and sub(e, 1, 7) == sub(last, 1, 7) and byte(e, 8) % 2 == 0)) then
      kept[n], plain = e, false
    elseif n == cap then
      local dropped = highest(e)
      if less(bottom, dropped) then bottom = dropped end
      break
    else
      n = n + 1
      kept[n] = e
    end
  end
  while n > 0 and not less(bottom, kept[n]) do n = n - 1 end
  return kept, n, bottom, plain
end

-- rewrite joins more entries (a string of packed ones) to a timeline, sorts it,
-- drops repeats and what the cap leaves out, and puts header h behind it. The
-- TTL stays. SORT with STORE compares bytes; without it, by locale.
--
-- Redis refuses a script for want of memory at its first write or never, so the
-- list is not left without its header: entries that come are pushed first, and a
-- mere cut, which gives memory back, begins with what is never refused.
local function rewrite(key, h, cap, more)
  local ttl, items = call('PTTL', key), {}
  for at = 1, #more, 8 do items[#items + 1] = sub(more, at, at + 7) end
  push('LPUSH', key, items, #items)
  call('RPOP', key)
  call('SORT', key, 'ALPHA', 'DESC', 'STORE', key)
  local kept, n, bottom, plain = newest(call('LRANGE', key, 0, -1), cap, sub(h, 3, 10))
  if plain and n > 0 then
    call('LTRIM', key, 0, n - 1)
  else
    call('DEL', key)
    push('RPUSH', key, kept, n)
  end
  h = with(with(h, 3, bottom), 47, struct.pack('>I4', n))
  call('RPUSH', key, h)
  if ttl >= 0 then call('PEXPIRE', key, math.max(ttl, 1)) end -- 0: it expires this very millisecond
  return h
end
