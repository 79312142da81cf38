-- title: Where listeners are
-- question: Which places have the most listeners, and how much does each of them play?
-- section: Audience
-- chart: bars
-- x: listeners (listeners), plays_per_listener (plays per listener)
-- y: location (location)
-- with: plays
-- rank: listeners
-- headline: {first[location]} has the most listeners: {first[listeners]} of {first[all_listeners]}, with {first[plays_per_listener]:play} each on average. One of them made {first[percent_by_one]} % of these plays.
with listening as (
    select
        location,
        user_id,
        count(*) as plays
    from plays
    where user_id is not null
    group by location, user_id
),

everybody as (
    select count(distinct user_id) as listeners
    from listening
)

select
    listening.location,
    count(*) as listeners,
    sum(listening.plays) as plays,
    sum(listening.plays)::float / count(*) as plays_per_listener,
    100 * max(listening.plays)::float / sum(listening.plays) as percent_by_one,
    everybody.listeners as all_listeners
from listening
cross join everybody
group by listening.location, everybody.listeners
order by count(*) desc, sum(listening.plays) desc, listening.location
limit 15
