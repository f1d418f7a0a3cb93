"""One module for each AWS service, in AWS's own words: thin calls, the client an argument."""
