-- One row per day with events of any kind at plausible times. Of other days nothing is known.
-- filters: day
select distinct ts::date as day
from events
where ts between timestamp '2000-01-01' and dateadd(day, 1, getdate())
