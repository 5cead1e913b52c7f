"""The agents' edge: turns what people do at their desks into inputs, and the journal into what their desks show."""
