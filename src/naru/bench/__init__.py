"""`naru bench`: measurements that anyone can repeat. What is said to be fast is measured beside what it is compared with."""
