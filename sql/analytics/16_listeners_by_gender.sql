-- title: Listeners by gender
-- question: How many listeners are there of each gender, how much do they play, and how many pay?
-- section: Audience
-- chart: bars
-- x: listeners (listeners), median_plays (median plays per listener), percent_paid (% of listeners on the paid plan)
-- y: gender (gender)
-- with: plays
-- few: listeners
-- headline: Songs per listener, as the median: {each[gender median_plays listeners]:listener}.
with listening as (
    select
        user_id,
        count(*) as plays
    from plays
    where user_id is not null
    group by user_id
),

described as (
    select
        case users.gender
            when 'F' then 'female'
            when 'M' then 'male'
            else 'not known'
        end as gender,
        users.level,
        listening.plays
    from listening
    inner join users
        on users.user_id = listening.user_id
)

select
    gender,
    count(*) as listeners,
    sum(plays) as plays,
    median(plays)::float as median_plays,
    100 * avg(case when level = 'paid' then 1.0 else 0.0 end)::float as percent_paid
from described
group by gender
order by gender
