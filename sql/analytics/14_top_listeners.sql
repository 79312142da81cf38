-- title: Top listeners
-- question: Who plays the most, and how much of all listening is theirs?
-- section: Audience
-- chart: bars
-- x: plays (plays), percent_plays (% of all plays)
-- y: listener (listener), user_id (user)
-- with: plays
-- rank: plays
-- headline: {first[listener]} plays the most, {first[plays]:song} or {first[percent_plays]} % of all. {first[half]} of {first[all_listeners]:listener} make half of the plays.
with listening as (
    select
        user_id,
        count(*) as plays,
        count(distinct day) as days,
        count(distinct session) as sessions
    from plays
    where user_id is not null
    group by user_id
),

ranked as (
    select
        listening.*,
        sum(plays) over () as all_plays,
        count(*) over () as all_listeners,
        sum(plays) over (order by plays desc, user_id rows between unbounded preceding and current row) as cumulated
    from listening
),

halves as (
    select min(place) as half
    from (
        select
            cumulated,
            all_plays,
            row_number() over (order by plays desc, user_id) as place
        from ranked
    ) as placed
    where 2 * cumulated >= all_plays
)

select
    coalesce(users.first_name || ' ', '') || coalesce(users.last_name, '') as listener,
    ranked.user_id,
    users.level as plan,
    ranked.plays,
    ranked.days,
    ranked.sessions,
    100 * ranked.plays::float / ranked.all_plays as percent_plays,
    ranked.all_listeners,
    halves.half
from ranked
cross join halves
left join users
    on users.user_id = ranked.user_id
order by ranked.plays desc, ranked.user_id
limit 15
