-- title: What this covers
-- question: How much listening are these answers based on?
-- chart: figures
-- value: plays (songs played), listeners (listeners), sessions (sessions), percent_paid (% of plays on the paid plan)
-- headline: {first[listeners]:listener} played {first[plays]:song} from {first[first_day]} to {first[last_day]} (UTC).
select
    count(*) as plays,
    count(distinct user_id) as listeners,
    count(distinct session_id) as sessions,
    100 * sum(case when level = 'paid' then 1 else 0 end)::float / count(*) as percent_paid,
    min(start_time)::date as first_day,
    max(start_time)::date as last_day
from songplays
where start_time between timestamp '2000-01-01' and dateadd(day, 1, getdate())
having count(*) > 0
