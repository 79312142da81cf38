-- Every part of a time is in its range: hour 0-23, day 1-31, week 1-53, month 1-12, weekday 0-6.
select *
from time
where
    hour not between 0 and 23
    or day not between 1 and 31
    or week not between 1 and 53
    or month not between 1 and 12
    or weekday not between 0 and 6
